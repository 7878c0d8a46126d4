"""From a question to the passages an answer leans on: snapshots on disk, search, and what is told of them.

Imported module by module: `snapshot` and `build` write and open what `retriever` searches.
"""
