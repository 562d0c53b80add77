"""Numbers for every sample from what the model shows of it: a small network, trained through the run."""

from .network import Features, Hook, Predictor, seen
from .training import Trained, check_predicted, counted, train

__all__ = [
    "Features",
    "Hook",
    "Predictor",
    "Trained",
    "check_predicted",
    "counted",
    "seen",
    "train",
]
