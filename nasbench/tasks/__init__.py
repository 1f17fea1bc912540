"""Data sets as arrays with fixed, hashed splits.

`load_task("digits")`, or `load_task("my.npz")`; `register` adds a task of one's own.
"""

from .catalogue import load_task, register, task_entry, task_names
from .files import data_folders
from .task import Source, Task, split

__all__ = ["Source", "Task", "data_folders", "load_task", "register", "split", "task_entry", "task_names"]
