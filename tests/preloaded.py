"""What the package's commands import, imported: the server of `forked` loads this and nothing else."""

import contextlib
import importlib
import pkgutil

from expressionist import stages
from expressionist.tracking.store import import_mlflow

for stage in pkgutil.iter_modules(stages.__path__):
    importlib.import_module(f"expressionist.stages.{stage.name}")
import_mlflow()
for name in ("alembic.command", "mlflow.store.tracking.sqlalchemy_store", "optuna.storages"):
    importlib.import_module(name)
with contextlib.suppress(ImportError):  # the extra `dask`
    importlib.import_module("distributed.nanny")
