"""Where records come from: one module a source, none of which knows a store."""
