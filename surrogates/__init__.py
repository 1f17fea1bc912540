"""Predictors of accuracy, cost and learning curves. None is here yet: the tables and strategies came
first."""
