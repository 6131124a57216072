#pragma once
// Several pictures on one sheet.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace stepcast::cli {

// 8-bit RGB, row by row.
struct Pixels {
  int width = 0;
  int height = 0;
  std::vector<uint8_t> rgb;
};

// nullopt when `png` is no PNG.
std::optional<Pixels> ReadPng(const std::string& png);

// The file, or "" when it cannot be written.
std::string WritePng(const Pixels& pixels);

// How many columns make the sheet of `count` pictures about square.
int SheetColumns(int count);

// Lays `pictures` out in rows of `columns`, in reading order, on black with `gap` pixels between them.
// REQUIRES: equal sizes; not empty; columns >= 1.
Pixels ContactSheet(const std::vector<Pixels>& pictures, int columns, int gap);

}  // namespace stepcast::cli
