"""Everything hnas raises on purpose, as one tree.

HnasError               the command line prints it as one message and exits with 2
├── InputError          an option, a plan, an architecture or a data set that breaks a rule
│   └── BudgetError     no architecture of the space fits the FLOPs or latency asked for
└── StateError          what is on disk does not fit what was asked
    ├── CheckpointError a file of weights that is torn, tampered with or of another network
    ├── StorageError    a study storage that does not answer or cannot be written
    │   └── RowError    a study or trial of a storage that others deleted or changed
    ├── MismatchError   a study whose scores cannot be compared with the ones asked for
    └── BusyError       another process holds the run

A message says what was asked, the rule, the value found and what to do.
"""


class HnasError(Exception):
    """Base of all errors a user can cause or mend."""


class InputError(HnasError):
    """What the user gave breaks a rule."""


class BudgetError(InputError):
    """No architecture of the space fits the FLOPs or latency asked for."""


class StateError(HnasError):
    """What is on disk does not fit what was asked."""


class CheckpointError(StateError):
    """A file of weights is torn, tampered with or belongs to another network."""


class StorageError(StateError):
    """The study storage does not answer or cannot be written."""


class RowError(StorageError):
    """A study or a trial of a storage is gone, or is not what hnas wrote."""


class MismatchError(StateError):
    """A study's scores cannot be compared with the ones asked for."""


class BusyError(StateError):
    """Another process holds the run."""
