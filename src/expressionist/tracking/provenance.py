"""What a run comes from, besides its data: who ran it, on which code, in which environment."""

import getpass
import os
import platform
from importlib.metadata import distributions
from pathlib import Path

from expressionist.files import digest_package, find_given, find_origin, md5
from expressionist.tracking.experiments import ask_git, describe_experiment

LOCK = "requirements.lock"
# Its version is asked of what is installed: the one in the code would re-run stages with every release.
PACKAGE = "expressionist"
# In front of the tags that tell the environment.
ENVIRONMENT = "environment."
_OUTSIDE = "none: run outside DVC, so no dvc.lock need have these digests"


def name_user() -> str:
    """Name the account that this process runs under.

    Returns
    -------
    str
        Its name; ``uid <number>`` where a container runs under a number that nobody has a name for.
    """
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def read_environment(root: Path) -> dict[str, str]:
    """Read what a result may hang on besides code, params and data.

    Parameters
    ----------
    root : pathlib.Path
        The project.

    Returns
    -------
    dict of str to str
        Versions of ``expressionist``, ``python``, ``tensorflow`` and ``keras``; ``lock``, the md5 of the
        project's requirements.lock, if it has one.
    """
    found = {"python": platform.python_version()}
    # Who only keeps versions need not have all of them.
    packages = (PACKAGE, "tensorflow", "keras")
    found |= {name: each.version for name in packages for each in distributions(name=name)}
    lock = find_given(root / LOCK)
    return found | ({"lock": md5(lock)} if lock.is_file() else {})


def read_provenance(root: Path) -> dict[str, str]:
    """Read which code a run comes from, in which environment, whose it is, and whether DVC ran it.

    Returns ``package``, the digest of this package, ``git_commit`` of the project (also under the name that
    MLflow's UI shows), ``git_dirty`` (true | false; tracked files only), ``mlflow.user``, ``DVC_STAGE``, the
    tags of `describe_experiment`, and ``environment.<name>`` for what `read_environment` finds; what cannot
    be known is absent. Outside DVC, ``DVC_STAGE`` says so.
    """
    # An experiment's commit and params are those of its own folder, though its runs lie in the checkout.
    root = Path() if find_origin(Path()) else root
    facts = {"DVC_STAGE": os.environ.get("DVC_STAGE") or _OUTSIDE, "mlflow.user": name_user()}
    facts["package"] = digest_package()
    facts |= {f"{ENVIRONMENT}{name}": value for name, value in read_environment(root).items()}
    facts |= describe_experiment(root)
    commit = ask_git(root, "rev-parse", "--verify", "HEAD")
    if commit:
        facts["git_commit"] = facts["mlflow.source.git.commit"] = commit
        changes = ask_git(root, "status", "--porcelain", "--untracked-files=no")
        if changes is not None:
            facts["git_dirty"] = "true" if changes else "false"
    return facts
