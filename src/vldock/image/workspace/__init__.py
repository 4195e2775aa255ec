"""A workspace as LLaVA's code sees it: where a name's weights are, which class loads them, where training writes."""
