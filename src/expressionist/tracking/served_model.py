"""The file that MLflow runs to load the registered model: `serving` behind MLflow's interface."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc import PythonModel

from expressionist.errors import Refusal, RegistryError
from expressionist.tracking.explaining import make_explainer, predict_explained
from expressionist.tracking.serving import load_model, predict

if TYPE_CHECKING:
    from expressionist.explain import SampleExplainer


class TableRefused(MlflowException):
    """A refusal, to which the scoring server cannot add the table that was sent, as it does otherwise."""

    def __init__(self, said: str) -> None:
        super().__init__(said, INVALID_PARAMETER_VALUE, refused=True)

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
        self.model = load_model(Path(context.artifacts["model"]))

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
                return predict_explained(self.model, self.explainer, model_input)
            return _pick(predict(*self.model, model_input), context.model_config["output"])
        except Refusal as refusal:
            # The scoring server answers with the message of MLflow's own exceptions only.
            raise TableRefused(str(refusal)) from refusal


def _pick(predictions: pd.DataFrame, output: str) -> Any:  # noqa: ANN401
    if output == "table":
        return predictions
    if output not in predictions:
        raise RegistryError(
            f"The output must be table or one of its columns, but got {output!r}. Choose tumour_type."
        )
    return predictions[output].to_numpy()


set_model(TumourTypeModel())
