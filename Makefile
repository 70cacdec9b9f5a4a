# The project's commands. Each calls one script of tests/tools/, which says what it does.

.PHONY: run test screens bench fuzz soak

run: ## a whole site on this machine, until Ctrl-C (KIOSK=1 fills the screen)
	@tests/tools/run

test: ## every check and every test
	@tests/tools/check

screens: ## every screen, language and size as PNG files to look at
	@tests/tools/screens

bench: ## start, touch, reading and memory, measured on this machine
	@tests/tools/bench

fuzz: ## random and damaged bytes for every parser
	@tests/tools/fuzz

soak: ## every cable pulled out 100 times, then one consultation after another for MINUTES (default 60)
	@tests/tools/soak
