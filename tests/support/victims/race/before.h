#pragma once

int run_held(const char* what);
