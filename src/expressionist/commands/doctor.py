"""What a report of trouble needs: versions, weights, stores and the machine, without secrets."""

import configparser
import os
import platform
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path
from urllib.parse import urlsplit

import click

from expressionist.commands.options import PARAMS, PATH, find_root, read_project_params
from expressionist.commands.projects import read_file
from expressionist.commands.tensorflow_start import hush
from expressionist.commands.terminal import say
from expressionist.errors import Refusal, hide_passwords, holds_password, make_printable, name_some

_WIDTH = 12
_PACKAGES = ("tensorflow", "keras", "mlflow", "dvc", "optuna", "numpy", "scikit-learn", "anndata")
_THREADS = (
    *("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"),
    *("EXPRESSIONIST_CACHE_GIGABYTES", "CUDA_VISIBLE_DEVICES"),
)
_NAME, _EXTRA = re.compile(r"([\w.-]+)(?:\[([^]]*)\])?"), re.compile(r"""extra == ['"]([\w-]+)['"]""")
_FLAGS = ("sse4_2", "avx", "avx2", "fma", "avx512f", "avx512_vnni", "amx_tile")


@click.command()
@click.option("--out", type=PATH, help="File to write; printed if not given.")
def doctor(out: Path | None) -> None:
    """Say what a report of trouble needs: versions, weights, stores, the machine.

    It changes nothing, and shows no password or token.
    """
    root = find_root()
    looks: dict[str, Callable[[], Iterator[str]]] = {
        "Expressionist": _list_versions,
        "Packages": _list_packages,
        "Extras": _list_extras,
        "Project": lambda: _look_at_project(root),
        "Weights": lambda: _look_for_weights(root),
        "MLflow": lambda: _look_at_store(root),
        "DVC": lambda: _look_at_dvc(root),
        "Machine": lambda: _measure_machine(root),
        "Devices": _list_devices,
        "Threads": _list_threads,
    }
    lines = [line for heading, look in looks.items() for line in _lay_out(heading, look)]
    if out is None:
        for line in lines:
            say(line)
        return
    from expressionist.files import write_whole

    with write_whole(out) as partial:
        partial.write_text("\n".join([*map(make_printable, lines), ""]), encoding="utf-8")


def _lay_out(heading: str, look: Callable[[], Iterator[str]]) -> Iterator[str]:
    """Lay out what is found under a heading; what cannot be looked at is said there."""
    told: list[str] = []
    try:
        told += look()
    except (Refusal, ImportError, OSError, sqlite3.Error, configparser.Error) as error:
        told += hide_passwords(str(error)).splitlines()
    for place, line in enumerate(told):
        yield f"{'' if place else heading:<{_WIDTH + 2}}{line}"


def _list_versions() -> Iterator[str]:
    from expressionist import __version__
    from expressionist.files import digest_package

    yield f"{__version__}, code {digest_package()[:12]}"
    yield f"Python {platform.python_version()}, {platform.platform()}"


def _find_version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _list_packages() -> Iterator[str]:
    found = {package: _find_version(package) for package in _PACKAGES}
    yield ", ".join(f"{package} {number}" for package, number in found.items() if number)
    if missing := [package for package, number in found.items() if not number]:
        yield f"not installed: {', '.join(missing)}"


def _list_extras() -> Iterator[str]:
    """Say of each extra whether all that it brings is there."""
    names = metadata("expressionist").get_all("Provides-Extra") or []
    lacking = {
        extra: [name for name in _list_brought("expressionist", extra) if not _find_version(name)]
        for extra in names
    }
    yield f"installed: {', '.join(extra for extra in names if not lacking[extra]) or 'none'}"
    yield from (f"{extra} lacks {name_some(missing)}" for extra, missing in lacking.items() if missing)


def _list_brought(package: str, extra: str) -> Iterator[str]:
    """Name what an extra of an installed package brings, through extras of other packages, too."""
    for line in requires(package) or ():
        if extra in _EXTRA.findall(line) and (named := _NAME.match(line)):
            yield named[1]
            for inner in filter(None, (named[2] or "").split(",")):
                yield from _list_brought(named[1], inner) if _find_version(named[1]) else ()


def _look_at_project(root: Path) -> Iterator[str]:
    if not (root / PARAMS).is_file():
        yield "none here or above (expressionist init)"
        return
    params = read_project_params(root)
    yield f"params.yaml is valid: {params.cohort.source}, {', '.join(params.backbones)}"
    if (root / "src/expressionist").is_dir():
        yield "a checkout of the source"
    elif (root / "dvc.yaml").read_text(encoding="utf-8") != read_file("dvc.yaml"):
        yield "dvc.yaml is not that of this version of the package"


def _look_for_weights(root: Path) -> Iterator[str]:
    from expressionist.network import BACKBONES, list_weights

    is_project = (root / PARAMS).is_file()
    folder = root / (read_project_params(root).weights.folder if is_project else "data/weights")
    found = {
        name: next((path for path in list_weights(name, folder) if path.is_file()), None)
        for name in BACKBONES
    }
    for name, path in found.items():
        if path:
            yield f"{name}: {path}"
    if lacking := [name for name, path in found.items() if not path]:
        yield f"none for {', '.join(lacking)}: downloaded, or else RANDOM"


def _look_at_store(root: Path) -> Iterator[str]:
    """Say which store it is and whether it answers, without making or upgrading one."""
    if uri := os.environ.get("MLFLOW_TRACKING_URI"):
        from expressionist.tracking import open_store

        yield f"{_show_address(uri)} (MLFLOW_TRACKING_URI)"
        try:
            open_store(root, uri)
        except Refusal as refusal:
            yield str(refusal).replace(uri, "it")
        else:
            yield "answers" if uri.startswith("http") else "not asked"
        return
    database = root / "mlruns/mlflow.db"
    if not database.is_file():
        yield "no store here yet: mlruns/mlflow.db is made by the first run"
        return
    with closing(sqlite3.connect(f"file:{database.resolve()}?mode=ro", uri=True)) as connection:
        counts = [
            connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]
            for table in ("runs", "model_versions")
        ]
    yield "mlruns/mlflow.db: {:,} runs, {:,} model versions".format(*counts)


def _show_address(address: str) -> str:
    """Leave of an address what can hold no secret: neither a user nor what stands behind a question mark."""
    if holds_password(address):
        return "an address with a password in it, which is refused"
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else parts.path


def _look_at_dvc(root: Path) -> Iterator[str]:
    if not (root / ".dvc").is_dir():
        yield "not set up here"
        return
    read = configparser.ConfigParser(interpolation=None)
    read.read([root / ".dvc/config", root / ".dvc/config.local"], encoding="utf-8")
    has_git = not read.getboolean("core", "no_scm", fallback=False)
    yield f"set up, {'with' if has_git else 'without'} git; dvc.lock is {_tell(root / 'dvc.lock')}"
    # A section of a remote is called `'remote "name"'`, quotes included.
    remotes = [name for name in read.sections() if "remote " in name]
    for name in remotes:
        yield f"remote {name.split(chr(34))[1]}: {_show_address(read.get(name, 'url', fallback=''))}"
    if not remotes:
        yield "no remote"


def _tell(path: Path) -> str:
    return "there" if path.exists() else "not there"


def _measure_machine(root: Path) -> Iterator[str]:
    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    yield f"{n_cores} of {os.cpu_count()} cores, {memory:.1f} GB of memory"
    yield f"{shutil.disk_usage(root).free / 1e9:,.1f} GB free on the project's disk"
    cpu = Path("/proc/cpuinfo")
    if cpu.is_file():
        lines = dict(
            line.split(":", 1) for line in cpu.read_text(encoding="utf-8").splitlines() if ":" in line
        )
        known = {name.strip(): value.split() for name, value in lines.items()}
        flags = [flag for flag in _FLAGS if flag in known.get("flags", known.get("Features", []))]
        yield f"{' '.join(known.get('model name', [platform.machine()]))}: {' '.join(flags) or 'no AVX'}"


def _list_devices() -> Iterator[str]:
    if not _find_version("tensorflow"):
        yield "unknown: TensorFlow is not installed"
        return
    with hush():
        import tensorflow as tf

        found = tf.config.list_physical_devices()
    yield ", ".join(device.name.removeprefix("/physical_device:") for device in found)
    if not any(device.device_type == "GPU" for device in found):
        yield "TensorFlow sees no GPU"


def _list_threads() -> Iterator[str]:
    given = {name: os.environ[name] for name in _THREADS if name in os.environ}
    yield ", ".join(f"{name}={value}" for name, value in given.items()) or "as the libraries choose"


COMMANDS = (doctor,)
