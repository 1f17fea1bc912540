"""The shipped tables. Each .h5 file has a data card of the same name beside it; open one with `nasbench.open_table`."""
