"""What it costs to start: seconds and memory of `--help` and of what stages import, and what extras weigh.

Run ``python benchmarks/startup.py`` for the first, and with ``core layouts train ...`` for the table of
docs/install.md: each is installed into a new environment, with requirements.lock, and bytecode.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from expressionist.stages import list_stages

ROOT = Path(__file__).parents[1]
COMMANDS = [[], *([name] for name in [*list_stages(), "models", "predict", "worker", "times"])]
# What is imported for what an extra is for.
IMPORTS = {
    "core": "from expressionist import ExpressionImager",
    "layouts": "import openTSNE, umap",
    "train": "import expressionist.stages.tune",
    "track": "import mlflow",
    "serve": "import expressionist.network.assembly, expressionist.commands.prediction",
    "all": "import expressionist.stages.tune, mlflow",
    "postgres": "import psycopg",
    "dask": "import distributed",
    "onnx": "import onnx",
    "gpu": "import tensorflow",
}
N_TIMES = 3


def run(words: list[str]) -> tuple[float, float, float]:
    """Run a process: seconds on the clock, processor seconds, peak memory in MB."""
    begun = time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(words)} must end well, but got {status}.")
    unit = 1 if sys.platform == "darwin" else 1024
    return time.perf_counter() - begun, used.ru_utime + used.ru_stime, unit * used.ru_maxrss / 1e6


def measure_extra(extra: str, folder: Path) -> str:
    """Install an extra into a folder: its packages, its size, and what `--help` and its imports take."""
    uv, python = [sys.executable, "-m", "uv", "--quiet"], str(folder / "bin" / "python")
    run([*uv, "build", "--wheel", "--out-dir", str(folder / "wheel"), str(ROOT)])
    wheel = next((folder / "wheel").glob("*.whl")).as_uri()
    run([*uv, "venv", "--allow-existing", "--python", sys.executable, str(folder)])
    wanted = "expressionist" if extra == "core" else f"expressionist[{extra}]"
    install = [*uv, "pip", "install", "--python", python, "--compile-bytecode", f"{wanted} @ {wheel}"]
    run([*install, "--constraint", str(ROOT / "requirements.lock")])
    installed = next(folder.glob("lib/*/site-packages"))
    n_bytes = sum(path.lstat().st_blocks * 512 for path in installed.rglob("*"))
    n_packages = len(list(installed.glob("*.dist-info")))
    took = [
        min(run([python, *words])[1] for _ in range(N_TIMES))
        for words in (["-m", "expressionist", "--help"], ["-c", IMPORTS[extra]])
    ]
    return f"| `{wanted}` | {n_packages} | {n_bytes / 1e6:,.0f} | {took[0]:.2f} | {took[1]:.1f} |"


def main() -> None:
    for extra in sys.argv[1:]:
        with tempfile.TemporaryDirectory() as folder:
            print(measure_extra(extra, Path(folder)), flush=True)
    if sys.argv[1:]:
        return
    print(f"{'command':<24} {'clock s':>8} {'processor s':>12} {'peak MB':>8}")
    for words in COMMANDS:
        took = run([sys.executable, "-m", "expressionist", *words, "--help"])
        print(f"{' '.join([*words, '--help']):<24} {took[0]:>8.2f} {took[1]:>12.2f} {took[2]:>8.0f}")
    for module in ("stages.split", "stages.tune"):
        took = run([sys.executable, "-c", f"import expressionist.{module}"])
        print(f"{f'import {module}':<24} {took[0]:>8.2f} {took[1]:>12.2f} {took[2]:>8.0f}")


if __name__ == "__main__":
    main()
