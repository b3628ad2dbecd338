"""What it costs to start a command: processor seconds and memory of `--help`, and of what stages import.

Run ``python benchmarks/startup.py``.
"""

import os
import subprocess
import sys
import time

from expressionist.stages import list_stages

COMMANDS = [[], *([name] for name in [*list_stages(), "models", "predict", "worker", "times"])]


def run(words: list[str]) -> tuple[float, float, float]:
    """Run a process: seconds on the clock, processor seconds, peak memory in MB."""
    begun = time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(words)} must end well, but got {status}.")
    unit = 1 if sys.platform == "darwin" else 1024
    return time.perf_counter() - begun, used.ru_utime + used.ru_stime, unit * used.ru_maxrss / 1e6


def main() -> None:
    print(f"{'command':<24} {'clock s':>8} {'processor s':>12} {'peak MB':>8}")
    for words in COMMANDS:
        took = run([sys.executable, "-m", "expressionist", *words, "--help"])
        print(f"{' '.join([*words, '--help']):<24} {took[0]:>8.2f} {took[1]:>12.2f} {took[2]:>8.0f}")
    for module in ("stages.split", "stages.tune"):
        took = run([sys.executable, "-c", f"import expressionist.{module}"])
        print(f"{f'import {module}':<24} {took[0]:>8.2f} {took[1]:>12.2f} {took[2]:>8.0f}")


if __name__ == "__main__":
    main()
