"""The tiny plan: a whole search in a second, with all that has a state (dropout, EMA, depth).

Without simple models, which take an eighth of it: tests of them ask for them.
"""

TINY = """
[data]
source = "digits"
limit = 300

[net]
image = 8
channels = 1
patch = 4
classes = 10
d = 12
M = 3
N = 3

[augment]
shift = 1

[stage1]
d_k = 12
K = 3
trials = 12
population = 5
training = { epochs = 3, batch = 64, lr = 3e-3, dropout = 0.1 }

[stage2]
d_k = [6, 12]
d_z = [2, 4]
E = [1, 2]
K = [3, 5]
trials = 11
population = 5
training = { epochs = 2, batch = 64, lr = 3e-3, ema = 0.5 }

[score]
recalibration = 32

[retrain]
top = 2
training = { epochs = 2, batch = 64, lr = 3e-3, ema = 0.9, drop_path = 0.1 }

[baselines]
images = 0
"""
