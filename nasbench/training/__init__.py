"""One training protocol, run for one cell or for thousands, on a CPU or CUDA.

`train` is one network; `train_many` runs many over worker processes, or as one program on CUDA. On the CPU both use
the compiled step where it can be built and takes the protocol, plain torch elsewhere; on CUDA the population trainer.
`trainer_version` says which it was, to be recorded with the results.
"""

from .population import Job, Trained, choose_device, train, train_many, train_safely, trainer_name, trainer_version
from .protocol import Protocol, task_protocol
from .result import Arrays, History

__all__ = [
    "Arrays",
    "History",
    "Job",
    "Protocol",
    "Trained",
    "choose_device",
    "task_protocol",
    "train_safely",
    "train",
    "train_many",
    "trainer_name",
    "trainer_version",
]
