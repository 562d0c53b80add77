"""Time grids and noise schedules: small exact functions, to be used beside any sampler.

Every grid has n steps: a list of n + 1 falling levels, except that those of `restarted` and
`resampled` rise here and there, and that two of ComfyUI's (`ddim_uniform`, `beta` of a table) may have
more or fewer, as they say. An argument for which there is no such list is refused by its name, with a
ValueError. Nothing here needs torch; grids at quantiles of a beta distribution need scipy.

>>> from solvergen.grids import RectifiedFlow, karras, shifted
>>> [round(level, 3) for level in karras(4, 0.1, 10.0)]
[10.0, 2.934, 0.663, 0.1, 0.0]
>>> [round(t, 3) for t in shifted([1.0, 0.75, 0.5, 0.25, 0.0], 3.0)]
[1.0, 0.9, 0.75, 0.5, 0.0]
"""

from .flow import dynamic_shift as dynamic_shift
from .flow import flow_linear as flow_linear
from .flow import linear_quadratic as linear_quadratic
from .flow import mu_of_length as mu_of_length
from .flow import shifted as shifted
from .flow import stretched as stretched
from .flow_table import FlowTable as FlowTable
from .level_table import LevelTable as LevelTable
from .levels import align_your_steps as align_your_steps
from .levels import beta_levels as beta_levels
from .levels import exponential as exponential
from .levels import karras as karras
from .levels import kl_optimal as kl_optimal
from .levels import polyexponential as polyexponential
from .restart import resampled as resampled
from .restart import restarted as restarted
from .schedules import EDM as EDM
from .schedules import VE as VE
from .schedules import VP as VP
from .schedules import Cosine as Cosine
from .schedules import Geometric as Geometric
from .schedules import RectifiedFlow as RectifiedFlow
from .schedules import Schedule as Schedule
from .schedules import TrigFlow as TrigFlow
from .schedules import grid as grid
from .schedules import quadratic_time as quadratic_time
from .schedules import uniform_lambda as uniform_lambda
from .schedules import uniform_time as uniform_time
from .table import Table as Table
from .table import betas as betas
from .table import rescaled_to_zero_snr as rescaled_to_zero_snr
from .tangent import bong_tangent as bong_tangent
from .timesteps import lcm_times as lcm_times
from .timesteps import leading as leading
from .timesteps import linspace as linspace
from .timesteps import trailing as trailing
