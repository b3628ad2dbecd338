"""The file that MLflow runs to load the registered model: `serving` behind MLflow's interface."""

import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR, INVALID_PARAMETER_VALUE
from mlflow.pyfunc import PythonModel

from expressionist.errors import Refusal, RegistryError
from expressionist.tracking.explaining import make_explainer, predict_explained
from expressionist.tracking.prediction_log import append_log, name_logged
from expressionist.tracking.serving import load_model, predict

if TYPE_CHECKING:
    from expressionist.explain import SampleExplainer


class TableRefused(MlflowException):
    """A refusal, to which the scoring server cannot add the table that was sent, as it does otherwise."""

    def __init__(self, said: str, code: int = INVALID_PARAMETER_VALUE) -> None:
        super().__init__(said, code, refused=True)

    @property
    def message(self) -> str:
        """What was said first."""
        return str(self.args[0])

    @message.setter
    def message(self, _: str) -> None:
        """Leave it at that."""


class TumourTypeModel(PythonModel):
    """Expression of samples × genes → tumour types."""

    def load_context(self, context: Any) -> None:  # noqa: ANN401
        """Load the network and what is known about it from the folder that was registered."""
        folder = Path(context.artifacts["model"])
        self.model = load_model(folder)
        self.logged = name_logged(folder)

    @cached_property
    def explainer(self) -> "SampleExplainer":
        """What explains predictions, made when that is first asked for: its graph takes seconds."""
        return make_explainer(self.model)

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> Any:  # noqa: ANN401
        """Predict tumour types, see `predict`; with the param ``explain`` see `predict_explained`.

        Of a model loaded with the config ``output``, only the column of that name, as an array.
        """
        try:
            if params and params.get("explain"):
                return self.log(predict_explained(self.model, self.explainer, model_input))
            return _pick(self.log(predict(*self.model, model_input)), context.model_config["output"])
        except Refusal as refusal:
            # The scoring server answers with the message of MLflow's own exceptions only.
            raise TableRefused(str(refusal)) from refusal

    def log(self, predictions: pd.DataFrame) -> pd.DataFrame:
        """Log predictions if that is asked for; what cannot be logged is not answered."""
        folder = os.environ.get("EXPRESSIONIST_PREDICTION_LOG")
        if folder:
            try:
                append_log(Path(folder), self.logged, predictions)
            except OSError as error:
                said = "The log of predictions must be writable, but is not. Nothing is answered until it is."
                raise TableRefused(said, INTERNAL_ERROR) from error
        return predictions


def _pick(predictions: pd.DataFrame, output: str) -> Any:  # noqa: ANN401
    if output == "table":
        return predictions
    if output not in predictions:
        raise RegistryError(
            f"The output must be table or one of its columns, but got {output!r}. Choose tumour_type."
        )
    return predictions[output].to_numpy()


set_model(TumourTypeModel())
