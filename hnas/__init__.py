"""The network floor: architectures, their cost, the supernet, data, training and scoring.

Knows torch, numpy and libraries of images and weights; knows no Optuna, no click, no rich.
"""

__version__ = "0.1.0"
