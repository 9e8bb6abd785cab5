"""From a graph to the program that the C++ executor runs: shapes are known, so everything is decided here, once.

select.py   which algorithm a layer gets, with the estimate of every candidate
lower.py    nodes become steps over buffers; concatenation, slices and reshapes mostly become views
pack.py     weights in the order in which the kernels read them
arena.py    buffers that are not alive together share memory
program.py  the plan: explain(), and the bytes of the .ecnn format
"""

from edgecnn.plan.program import Plan, build_plan
from edgecnn.plan.target import Target, find_target, host_target

__all__ = ["Plan", "Target", "build_plan", "find_target", "host_target"]
