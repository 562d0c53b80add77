"""The true order of any solver: from a Program to its truncation error, exactly, on any grid."""

from .analyse import analyse
from .explosion import Explosion
from .report import OrderReport
from .stiff import StiffOrder
from .verdict import Bottleneck, LeadingError, Order, ZeroStability

__all__ = [
    "Bottleneck",
    "Explosion",
    "LeadingError",
    "Order",
    "OrderReport",
    "StiffOrder",
    "ZeroStability",
    "analyse",
]
