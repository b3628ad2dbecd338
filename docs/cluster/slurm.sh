#!/bin/bash
# One task per GPU: the first runs the pipeline, the others join its searches.
#   sbatch --array=0-7 docs/cluster/slurm.sh
#SBATCH --job-name=expressionist
#SBATCH --array=0-3
#SBATCH --ntasks=1
#SBATCH --gpus-per-task=1
#SBATCH --cpus-per-task=4
#SBATCH --time=08:00:00
#SBATCH --requeue
set -euo pipefail

cd "${SLURM_SUBMIT_DIR:?must be the checkout: run sbatch there}"
export PATH="$PWD/.venv/bin:$PATH"

if [[ "${SLURM_ARRAY_TASK_ID:?}" == 0 ]]; then
    exec dvc repro
fi
# The first task may stand in the queue for longer than this one.
exec expressionist worker --patience 240
