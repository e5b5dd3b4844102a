"""What pyproject.toml cannot say: every package is found, and two folders of the top are put inside ``app``."""

from setuptools import find_packages, setup

SHIPPED = {"app.checkpoints": "checkpoints", "app.settings": ".streamlit"}

setup(
    packages=[*find_packages(include=["app", "app.*", "lsp_core", "lsp_core.*"]), *SHIPPED],
    package_dir=SHIPPED,
    package_data={"": ["**/*"]},
    exclude_package_data={"": ["**/*.pyc", "*.pyc", "*.state"]},
)
