"""The file that MLflow runs to load the registered model: `serving` behind MLflow's interface."""

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

from expressionist.errors import Refusal
from expressionist.tracking.serving import load_model, predict


class TumourTypeModel(PythonModel):
    """Expression of samples × genes → tumour types."""

    def load_context(self, context: Any) -> None:  # noqa: ANN401
        """Load the network and what is known about it from the folder that was registered."""
        self.model = load_model(Path(context.artifacts["model"]))

    def predict(self, context: Any, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:  # noqa: ANN401
        """Predict tumour types; see `expressionist.tracking.serving.predict`."""
        try:
            return predict(*self.model, model_input)
        except Refusal as refusal:
            # The scoring server answers with the message of MLflow's own exceptions only.
            raise MlflowException.invalid_parameter_value(str(refusal)) from refusal


set_model(TumourTypeModel())
