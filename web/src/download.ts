// The selection as CSV or Parquet, written in the browser.

import type { ColumnInfo, Table } from "./data";
import { save } from "./dom";

function cell(table: Table, { name, kind }: ColumnInfo, row: number): string | number | boolean | null {
  const column = table.columns.get(name)!;
  if (column.kind === "text") return column.words[column.codes[row]] || null;
  const value = column.values[row];
  if (Number.isNaN(value)) return null;
  return kind === "flag" ? value === 1 : Number(value.toPrecision(7));
}

// A text that a spreadsheet would take for a formula is made harmless by a quote; point groups such
// as -43m and negative numbers are none.
export function quoted(text: string): string {
  const safe = /^[-=+@\t\r]/.test(text) && !/^-\d[\da-z.]*$/.test(text) ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export function saveCsv(table: Table, columns: ColumnInfo[], rows: Uint32Array): void {
  const lines = [columns.map(({ name }) => name).join(",")];
  for (const row of rows) {
    lines.push(
      columns
        .map((column) => {
          const content = cell(table, column, row);
          return content === null ? "" : typeof content === "string" ? quoted(content) : String(content);
        })
        .join(","),
    );
  }
  save("materials.csv", `${lines.join("\n")}\n`, "text/csv");
}

export async function saveParquet(table: Table, columns: ColumnInfo[], rows: Uint32Array): Promise<void> {
  const { parquetWriteBuffer } = await import("hyparquet-writer");
  const types = { text: "STRING", number: "DOUBLE", flag: "BOOLEAN" } as const;
  const buffer = parquetWriteBuffer({
    columnData: columns.map((column) => ({
      name: column.name,
      type: types[column.kind],
      nullable: true,
      data: Array.from(rows, (row) => cell(table, column, row)),
    })),
    kvMetadata: columns.map(({ name, unit, description }) => ({ key: name, value: `${description} [${unit}]` })),
  });
  save("materials.parquet", buffer, "application/vnd.apache.parquet");
}
