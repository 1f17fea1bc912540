"""nasbench: cell spaces with real training results, and every search strategy compared under one budget."""
