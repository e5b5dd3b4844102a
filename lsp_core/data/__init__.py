"""Data sets of images: those with a name, and folders."""

from lsp_core.data.dataset import DatasetError, ImageDataset, Split, spread, stratified_split
from lsp_core.data.registry import DATASETS, data_root, load_dataset

__all__ = [
    "DATASETS",
    "DatasetError",
    "ImageDataset",
    "Split",
    "data_root",
    "load_dataset",
    "spread",
    "stratified_split",
]
