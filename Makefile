# The two commands that matter are `python3 run.py demo` and `python3 run.py test`.
# These are for whoever changes the bot; they need uv (https://docs.astral.sh/uv/).

UV ?= uv
COMPILE = $(UV) pip compile --universal --python-version 3.11 --no-header --quiet

.PHONY: pins pages site

# Pin everything again: what pyproject.toml names, and what that needs. Keeps pins that still fit;
# `make pins COMPILE_ARGS=--upgrade` takes the newest.
pins:
	$(COMPILE) $(COMPILE_ARGS) pyproject.toml --output-file requirements.txt
	$(COMPILE) $(COMPILE_ARGS) --group bundles --constraints requirements.txt --output-file requirements-bundles.txt
	$(COMPILE) $(COMPILE_ARGS) --group demo --constraints requirements.txt --output-file requirements-demo.txt
	$(COMPILE) $(COMPILE_ARGS) --group docs --constraints requirements-demo.txt --constraints requirements.txt --output-file requirements-docs.txt
	$(COMPILE) $(COMPILE_ARGS) --group test --constraints requirements-docs.txt --constraints requirements-bundles.txt --constraints requirements-demo.txt --constraints requirements.txt --output-file tests/requirements.txt

# The docs as a site, in .site/. Needs what requirements-docs.txt pins; `run.py test` installs it too.
site:
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build

# Write docs/configuration.md from the settings, docs/command-line.md from the commands, the tables of
# docs/events.md from the events, and that of docs/monitoring.md from the metrics.
pages:
	.venv/bin/python -m bot command-line-page > docs/command-line.md
	.venv/bin/python -m bot settings-page > docs/configuration.md
	.venv/bin/python -m bot events-page docs/events.md
	.venv/bin/python -m bot metrics-page docs/monitoring.md
