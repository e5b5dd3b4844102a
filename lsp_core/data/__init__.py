"""Data sets of images: those with a name, and folders."""

from lsp_core.data.dataset import DatasetError, ImageDataset, Split
from lsp_core.data.registry import DATASETS, data_root, fetch_dataset, load_dataset
from lsp_core.data.split import drawn_rows, spread, stratified_split

__all__ = [
    "DATASETS",
    "DatasetError",
    "ImageDataset",
    "Split",
    "data_root",
    "drawn_rows",
    "fetch_dataset",
    "load_dataset",
    "spread",
    "stratified_split",
]
