"""Conduct: what a sampler does when it is run as people run it, beside the algebra of its rule.

Order conditions are read on grids that shrink to a point, from one-hot runs of one pixel in float64.
Here the same sampler runs on usual grids that end in zero and above, for all numbers of steps, in
every dtype, on batches of images, and is held to what every caller takes for granted.
"""
