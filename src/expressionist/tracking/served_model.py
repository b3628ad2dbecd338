"""The file that MLflow runs to load the registered model: `serving` behind MLflow's interface."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

from expressionist.errors import Refusal
from expressionist.tracking.explaining import make_explainer, predict_explained
from expressionist.tracking.serving import load_model, predict

if TYPE_CHECKING:
    from expressionist.explain import SampleExplainer


class TumourTypeModel(PythonModel):
    """Expression of samples × genes → tumour types."""

    def load_context(self, context: Any) -> None:  # noqa: ANN401
        """Load the network and what is known about it from the folder that was registered."""
        self.model = load_model(Path(context.artifacts["model"]))

    @cached_property
    def explainer(self) -> "SampleExplainer":
        """What explains predictions, made when that is first asked for: its graph takes seconds."""
        return make_explainer(self.model)

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:  # noqa: ANN401
        """Predict tumour types, see `predict`; with the param ``explain`` see `predict_explained`."""
        try:
            if params and params.get("explain"):
                return predict_explained(self.model, self.explainer, model_input)
            return predict(*self.model, model_input)
        except Refusal as refusal:
            # The scoring server answers with the message of MLflow's own exceptions only.
            raise MlflowException.invalid_parameter_value(str(refusal)) from refusal


set_model(TumourTypeModel())
