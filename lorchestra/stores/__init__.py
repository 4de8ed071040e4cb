"""Where the two tables are kept: one module a store, all behind one protocol."""

from lorchestra.stores.base import Store, open_store

__all__ = ["Store", "open_store"]
