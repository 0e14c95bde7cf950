"""CSV files that a spreadsheet shows as text: none of their fields is a formula.

A text that begins with one of `= + - @`, a tab or a carriage return gets an apostrophe before it, as OWASP advises (CSV
Injection); so does one of these behind apostrophes, so that loading takes exactly one away again.
"""

import pandas as pd
from kedro_datasets.pandas import CSVDataset

FORMULA = r"^('*[=+\-@\t\r])"
NEUTRALISED = r"^'('*[=+\-@\t\r])"


class SafeCsv(CSVDataset):
    """`pandas.CSVDataset` whose text columns hold no formulas in the file."""

    def save(self, data: pd.DataFrame) -> None:
        """Writes the table; its texts are neutralised in the file alone."""
        super().save(_replace(data, FORMULA, r"'\1"))

    def load(self) -> pd.DataFrame:
        """The table with its texts as they were."""
        return _replace(super().load(), NEUTRALISED, r"\1")


def _replace(table: pd.DataFrame, pattern: str, by: str) -> pd.DataFrame:
    texts = [str(name) for name in table.select_dtypes(["object", "string"])]
    return table.assign(**{name: table[name].replace(pattern, by, regex=True) for name in texts})
