"""What the page asks of the template's own Python, which runs in the browser as it is.

It decides nothing: questions, refusals, plans and files come from `extensions/` and `template/`.
"""
