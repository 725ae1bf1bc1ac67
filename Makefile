# `make` alone lists the targets. Every target sets up what it needs, once.
#   PYTHON=python3.12 make demo    use another interpreter
#   make test NB=07                only lessons with 07 in their name
# Works with GNU make 3.81 and later, and from a path with spaces.

export PIP_DISABLE_PIP_VERSION_CHECK = 1
bin = .venv/bin

.PHONY: help setup demo test bench docs students notebooks check faults anywhere cuda-check gpu nbdev3-check clean
.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

setup: ## make .venv and install the library and its tools (the other targets do it for you)
	@sh tools/setup.sh

demo: setup ## train on generated landscapes and paint photos it has never seen (minutes, no download)
	@$(bin)/python tools/demo.py $(ARGS)

test: setup ## run every lesson as a test, two at a time, with a time limit each
	@$(bin)/python tools/test.py $(NB)

bench: setup ## time steps, loading, painting, scores and imports against plain ways to do them (20 minutes)
	@$(bin)/python benchmarks/bench.py $(ARGS)

docs: setup ## build the site into _docs/ and, where Chromium is, open every page and paint a picture in it
	@$(bin)/python -c 'import smalldocs, latex2mathml, selenium' 2>/dev/null || $(bin)/python -m pip install -q -e '.[docs]'
	@$(bin)/python tools/docs.py
	@$(bin)/python tools/check_site.py
	@$(bin)/python tools/check_paint.py

students: setup ## make the student edition of the exercises in students/, and try that every gap asks for an answer
	@$(bin)/python -c 'import nbgrader' 2>/dev/null || $(bin)/python -m pip install -q -e '.[students]'
	@$(bin)/python tools/students.py --check

notebooks: setup ## run every lesson and store its outputs; NB=nbs/09_patchgan.ipynb for one
	@PATH="$$PWD/$(bin):$$PATH" OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore::FutureWarning $(bin)/python tools/execute.py $(NB)

check: setup ## do notebooks, modules and README agree, does every link lead somewhere, do house and lessons keep their rules?
	@sh tools/check_drift.sh
	@$(bin)/python tools/links.py
	@$(bin)/python tools/house.py
	@$(bin)/python tools/lessons.py
	@$(bin)/ruff check --quiet

faults: setup ## kill trainings, fill a disk, open hostile pictures; say what was lost (minutes)
	@$(bin)/python tools/faults.py $(ARGS)

anywhere: setup ## run each lesson alone from the built wheel, as on Colab: no nbdev, newest fastai; NB=07 for some
	@sh tools/anywhere.sh $(NB)

cuda-check: setup ## prove on pretended cards what can be known about CUDA without one; ARGS=--all: every lesson, too
	@$(bin)/python tools/cuda_check.py $(ARGS)

gpu: setup ## with an NVIDIA card: in six minutes one file of what only a card can tell (ARGS='--device cpu': a rehearsal)
	@$(bin)/python tools/gpu.py $(ARGS)

nbdev3-check: setup ## does nbdev 3 export the same modules, and does every lesson run under it? (15 minutes)
	@sh tools/check_nbdev3.sh $(NB)

clean: ## remove build products; environments, runs and paintings stay
	@rm -rf build dist _docs _proc .cache ./*.egg-info
	@find . -name '.venv*' -prune -o \( -name __pycache__ -o -name .ipynb_checkpoints \) -type d -prune -exec rm -rf {} +
