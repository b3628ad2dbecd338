#!/bin/bash
# The pipeline on the first GPU of this machine, and one worker per GPU of others, with the checkout at the same path.
#   docs/cluster/ssh.sh node1:2 node2:4        (host:number of GPUs)
set -euo pipefail

checkout=$PWD
export PATH="$checkout/.venv/bin:$PATH"

CUDA_VISIBLE_DEVICES=0 dvc repro &
pipeline=$!
for each in "$@"; do
    host=${each%%:*} n_gpus=${each##*:}
    for ((gpu = 0; gpu < n_gpus; gpu++)); do
        ssh -n "$host" "cd '$checkout' && CUDA_VISIBLE_DEVICES=$gpu .venv/bin/expressionist worker --patience 60" &
    done
done
# Workers that are lost cost time, not trials: only the pipeline's end counts.
wait "$pipeline"
