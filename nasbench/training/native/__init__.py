"""The fused C++ step: compiled on first use, called through ctypes."""

from .compiler import build_name, load_library
from .trainer import gradient_native, supports, train_native

__all__ = ["build_name", "gradient_native", "load_library", "supports", "train_native"]
