# The project's commands. Each calls one script of tests/tools/, which says what it does.

.PHONY: run test screens bench fuzz soak image image-test image-soak

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

image: ## the appliance's disk image and its update, signed (as root; image/make says what it leaves where)
	@image/make

image-test: ## starts that image in an emulated machine and tries it (as root; PART=boot for the first part only)
	@image/test $(PART)

image-soak: ## the plug pulled 100 times while a release is installed (hours; CUTS=10 for fewer)
	@image/test cut $(or $(CUTS),100)
