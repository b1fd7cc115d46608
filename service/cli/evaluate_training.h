/* evaluate_training.h owns `gpusize evaluate --training`: training runs against what is predicted. */
#pragma once
#include "cli/cli.h"

/* Whether the arguments of gpusize evaluate ask for it. */
bool cli_evaluates_training(int argc, char **argv);
int cli_evaluate_training(const struct cli *cli, int argc, char **argv);
