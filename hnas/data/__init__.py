"""Images: their sources, their split, and their way to a training step.

    survey      a source by name -> what it is like, counted
    load        a source by name, folder or function -> Source, resized once
    prepare     Source -> Data (training and held-out images) and the Split it was made by
    test_images the only way to the test part: a search holds a Data and so never sees it
    batches     which images a step takes
    augment, normalise, mix  what happens to them

Everything is a pure function of its arguments; nothing is cached.
"""

from hnas.data.augment import augment, augmented
from hnas.data.batches import batches, steps
from hnas.data.images import Images, Source
from hnas.data.mix import mix
from hnas.data.pixels import fit
from hnas.data.prepare import Data, normalise, prepare, test_images
from hnas.data.sources.load import load
from hnas.data.sources.survey import Survey, survey
from hnas.data.split import Split, split

__all__ = [
    "Data",
    "Images",
    "Source",
    "Split",
    "Survey",
    "augment",
    "augmented",
    "batches",
    "fit",
    "load",
    "mix",
    "normalise",
    "prepare",
    "split",
    "steps",
    "survey",
    "test_images",
]
