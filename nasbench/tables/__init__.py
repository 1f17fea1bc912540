"""Tables of training results: open a shipped one, make one from arrays, import a published one."""

from .curves import METRICS, PROXIES, Curves
from .table import Result, Table, open_table, shipped_tables

__all__ = ["METRICS", "PROXIES", "Curves", "Result", "Table", "open_table", "shipped_tables"]
