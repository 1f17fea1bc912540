"""Predictors that learn on old tasks how to learn a new one from few labels, or from none.

    predictor = surrogates.build("gp_transfer", space="nasbench201")
    predictor.meta_fit(sources)                  # nasbench.tables.source_tasks.Sources
    predictor.fit(cells, accuracies)             # the target's labels; none at all is allowed
    predictor.predict(space.cells)

All are scikit-learn estimators; `base` says what they share and `standings` what sources say of a cell.
"""
