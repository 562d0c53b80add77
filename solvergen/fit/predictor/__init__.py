"""Numbers for every sample from what the model shows of it: a small network, trained through the run."""

from .network import Hook, Predictor, seen
from .training import Trained, check_predicted, train

__all__ = ["Hook", "Predictor", "Trained", "check_predicted", "seen", "train"]
