// The panel of filters. Every control writes into the query; the table follows.

import { PERIODIC, parseSymbols } from "./composition";
import { counts, type Site, type Table } from "./data";
import { h } from "./dom";
import { explained, spaceGroup, unit } from "./format";
import type { Query } from "./query";
import { scale } from "./units";

export interface FilterPanel {
  element: HTMLElement;
  show(query: Query): void;
}

type Change = (edit: (query: Query) => void) => void;

const RANGES = [
  "score",
  "largest_circular_splitting",
  "largest_splitting",
  "mean_optical_angular_momentum",
  "mean_optical_helicity",
  "tensor_norm",
  "min_frequency_commensurate",
];

export function filterPanel(site: Site, table: Table, change: Change): FilterPanel {
  const shows: ((query: Query) => void)[] = [];
  const later = debounced(change);
  const element = h(
    "form",
    { class: "filters", "aria-label": "Filters", submit: (event: Event) => event.preventDefault() },
    search(later, shows),
    elements(site, change, later, shows),
    choice("Class", "chirality_class", table, change, shows, {
      I: "I centrosymmetric",
      II: "II chiral",
      III: "III achiral, no inversion",
    }),
    choice("Helicity wave", "helicity_wave", table, change, shows),
    flags(change, shows),
    groups(later, shows),
    fold("Point group", choiceBoxes("point_group", table, change, shows), "point_group", shows),
    fold("Tensor components", partBoxes("tensor_components", "tensor", table, change, shows), "tensor", shows),
    fold("Without the warnings", partBoxes("warnings", "unwarned", table, change, shows), "unwarned", shows),
    ranges(site, change, later, shows),
    choice("Potential", "potential", table, change, shows),
    choice("Hand", "hand", table, change, shows),
    choice("Magnetic ordering", "magnetic_ordering", table, change, shows),
    choice("Database", "database", table, change, shows),
    choice("Outcome", "outcome", table, change, shows),
    h(
      "button",
      {
        type: "button",
        class: "quiet",
        click: () =>
          change((query) => {
            Object.assign(query, {
              search: "",
              including: [],
              excluding: [],
              only: [],
              unwarned: [],
              choices: {},
              flags: {},
              tensor: [],
              groups: "",
              ranges: {},
            });
          }),
      },
      "Clear all filters",
    ),
  );
  return { element, show: (query) => shows.forEach((show) => show(query)) };
}

// What is typed waits a moment; other changes may come first, and none of them is lost.
function debounced(change: Change): Change {
  const waiting: ((query: Query) => void)[] = [];
  let timer = 0;
  return (edit) => {
    waiting.push(edit);
    clearTimeout(timer);
    timer = window.setTimeout(() => change((query) => waiting.splice(0).forEach((one) => one(query))), 120);
  };
}

function search(change: Change, shows: ((query: Query) => void)[]): HTMLElement {
  const input = h("input", {
    type: "search",
    id: "search",
    placeholder: "mp-19, TeO2, Zn-Te",
    autocomplete: "off",
    input: () => {
      const typed = input.value.trim();
      change((query) => {
        query.search = typed;
      });
    },
  });
  shows.push((query) => {
    if (document.activeElement !== input) input.value = query.search;
  });
  return h("div", { class: "field" }, h("label", { for: "search" }, "Search"), input);
}

function elements(site: Site, change: Change, later: Change, shows: ((query: Query) => void)[]): HTMLElement {
  const input = (id: string, key: "including" | "excluding" | "only", label: string, example: string) => {
    const mark = h("small", { class: "wrong", id: `${id}-wrong`, role: "status" });
    const field = h("input", {
      id,
      autocomplete: "off",
      spellcheck: "false",
      placeholder: example,
      "aria-describedby": mark.id,
      input: () => {
        const { symbols, unknown } = parseSymbols(field.value);
        mark.textContent = unknown.length ? `no such element: ${unknown.join(", ")}` : "";
        later((query) => {
          query[key] = symbols;
        });
      },
    });
    shows.push((query) => {
      if (document.activeElement === field) return;
      field.value = query[key].join(", ");
      mark.textContent = "";
    });
    return h("div", { class: "field" }, h("label", { for: id }, label), field, mark);
  };
  const buttons = new Map<string, HTMLButtonElement>();
  const grid = h("div", {
    class: "periodic",
    role: "group",
    "aria-label": "Periodic table: press once to require an element, twice to exclude it",
  });
  PERIODIC.forEach((row) =>
    row.forEach((symbol) => {
      if (symbol === ".") {
        grid.append(h("span"));
        return;
      }
      const button = h(
        "button",
        { type: "button", "data-symbol": symbol, click: () => change((query) => cycle(query, symbol)) },
        symbol,
      );
      button.disabled = !site.elements.includes(symbol);
      buttons.set(symbol, button);
      grid.append(button);
    }),
  );
  shows.push((query) =>
    buttons.forEach((button, symbol) => {
      const state = query.including.includes(symbol) ? "with" : query.excluding.includes(symbol) ? "without" : "any";
      button.dataset.state = state;
      button.setAttribute("aria-label", state === "any" ? symbol : `${symbol}: ${state}`);
    }),
  );
  return h(
    "fieldset",
    {},
    h("legend", {}, "Elements"),
    h(
      "div",
      { class: "pair" },
      input("with", "including", "with", "Si, O"),
      input("without", "excluding", "without", "Pb"),
    ),
    input("only", "only", "only", "Zn, Te, Se"),
    h("details", {}, h("summary", {}, "Periodic table"), grid),
  );
}

function cycle(query: Query, symbol: string): void {
  const required = query.including.includes(symbol);
  const excluded = query.excluding.includes(symbol);
  query.including = query.including.filter((other) => other !== symbol);
  query.excluding = query.excluding.filter((other) => other !== symbol);
  if (required) query.excluding.push(symbol);
  else if (!excluded) query.including.push(symbol);
}

function choice(
  title: string,
  name: string,
  table: Table,
  change: Change,
  shows: ((query: Query) => void)[],
  labels: Record<string, string> = {},
): HTMLElement | null {
  if (counts(table, name).length < 2) return null;
  return h("fieldset", {}, h("legend", {}, title), choiceBoxes(name, table, change, shows, labels));
}

function choiceBoxes(
  name: string,
  table: Table,
  change: Change,
  shows: ((query: Query) => void)[],
  labels: Record<string, string> = {},
): HTMLElement {
  const boxes = counts(table, name).map(([word, count]) => {
    const box = h("input", {
      type: "checkbox",
      name,
      value: word,
      change: () =>
        change((query) => {
          const chosen = new Set(query.choices[name] ?? []);
          if (box.checked) chosen.add(word);
          else chosen.delete(word);
          if (chosen.size) query.choices[name] = [...chosen];
          else delete query.choices[name];
        }),
    });
    shows.push((query) => {
      box.checked = query.choices[name]?.includes(word) ?? false;
    });
    const label = name === "point_group" ? spaceGroup(word) : (labels[word] ?? word);
    return h(
      "label",
      { class: "box" },
      box,
      h("span", {}, label),
      h("span", { class: "count" }, count.toLocaleString("en")),
    );
  });
  return h("div", { class: "boxes" }, ...boxes);
}

// Boxes for the parts of a text such as "xx = yy, zz".
function partBoxes(
  name: string,
  key: "tensor" | "unwarned",
  table: Table,
  change: Change,
  shows: ((query: Query) => void)[],
): HTMLElement {
  const found = new Map<string, number>();
  for (const [word, count] of counts(table, name)) {
    for (const part of word.split(", ")) found.set(part, (found.get(part) ?? 0) + count);
  }
  const boxes = [...found]
    .sort((a, b) => b[1] - a[1])
    .map(([word, count]) => {
      const box = h("input", {
        type: "checkbox",
        name: key,
        value: word,
        change: () =>
          change((query) => {
            query[key] = query[key].filter((other) => other !== word);
            if (box.checked) query[key].push(word);
          }),
      });
      shows.push((query) => {
        box.checked = query[key].includes(word);
      });
      return h(
        "label",
        { class: "box" },
        box,
        h("span", {}, word),
        h("span", { class: "count" }, count.toLocaleString("en")),
      );
    });
  return h("div", { class: "boxes" }, ...boxes);
}

function fold(title: string, content: HTMLElement, name: string, shows: ((query: Query) => void)[]): HTMLElement {
  const mark = h("span", { class: "count" });
  shows.push((query) => {
    const chosen = name === "tensor" || name === "unwarned" ? query[name] : (query.choices[name] ?? []);
    mark.textContent = chosen.length ? `${chosen.length} chosen` : "";
  });
  return h("details", { class: "fold" }, h("summary", {}, title, " ", mark), content);
}

function flags(change: Change, shows: ((query: Query) => void)[]): HTMLElement {
  const row = (name: string, title: string) => {
    const id = `flag-${name}`;
    const input = h(
      "select",
      {
        id,
        change: () =>
          change((query) => {
            if (input.value === "") delete query.flags[name];
            else query.flags[name] = input.value === "yes";
          }),
      },
      h("option", { value: "" }, "any"),
      h("option", { value: "yes" }, "yes"),
      h("option", { value: "no" }, "no"),
    );
    shows.push((query) => {
      input.value = name in query.flags ? (query.flags[name] ? "yes" : "no") : "";
    });
    return h("div", { class: "field" }, h("label", { for: id }, title), input);
  };
  return h(
    "fieldset",
    {},
    h("legend", {}, "Verdict"),
    h(
      "div",
      { class: "pair" },
      row("stable", "stable"),
      row("reliable", "reliable"),
      row("shortlisted", "shortlist"),
      row("nac", "NAC"),
      row("observed", "observed"),
    ),
  );
}

function groups(change: Change, shows: ((query: Query) => void)[]): HTMLElement {
  const input = h("input", {
    id: "groups",
    autocomplete: "off",
    spellcheck: "false",
    placeholder: "152-154, P6_3mc",
    input: () => {
      const typed = input.value.trim();
      change((query) => {
        query.groups = typed;
      });
    },
  });
  shows.push((query) => {
    if (document.activeElement !== input) input.value = query.groups;
  });
  return h("div", { class: "field" }, h("label", { for: "groups" }, "Space group: numbers or symbols"), input);
}

function ranges(site: Site, change: Change, later: Change, shows: ((query: Query) => void)[]): HTMLElement {
  const numeric = site.columns.filter(({ kind }) => kind === "number");
  const rows = h("div", { class: "ranges" });
  const present = new Set<string>();
  const add = (name: string) => {
    const column = numeric.find((other) => other.name === name);
    if (!column || present.has(name)) return;
    present.add(name);
    const bound = (index: 0 | 1) => {
      const field = h("input", {
        type: "number",
        step: "any",
        "aria-label": `${column.title}, ${index ? "at most" : "at least"}`,
        placeholder: index ? "max" : "min",
        "data-range": `${name}-${index ? "max" : "min"}`,
        input: () => {
          const typed = field.value === "" ? null : field.valueAsNumber / scale(column.unit);
          later((query) => {
            const range: [number | null, number | null] = [...(query.ranges[name] ?? [null, null])];
            range[index] = typed;
            if (range[0] === null && range[1] === null) delete query.ranges[name];
            else query.ranges[name] = range;
          });
        },
      });
      shows.push((query) => {
        const value = query.ranges[name]?.[index] ?? null;
        if (document.activeElement !== field)
          field.value = value === null ? "" : String(Number((value * scale(column.unit)).toPrecision(7)));
      });
      return field;
    };
    const dimension = h("small");
    shows.push(() => {
      dimension.textContent = column.unit ? ` ${unit(column.unit)}` : "";
    });
    const label = h("span", { title: explained(name, column.description) }, column.title, dimension);
    rows.append(h("div", { class: "range" }, label, bound(0), bound(1)));
  };
  RANGES.forEach(add);
  const more = h(
    "select",
    {
      "aria-label": "Add a range of another column",
      change: () => {
        add(more.value);
        more.value = "";
      },
    },
    h("option", { value: "" }, "Another column …"),
    ...numeric
      .filter(({ name }) => !RANGES.includes(name))
      .map(({ name, title }) => h("option", { value: name }, `${title} (${name})`)),
  );
  shows.push((query) => {
    const missing = Object.keys(query.ranges).filter((name) => !present.has(name));
    missing.forEach(add);
    if (missing.length) change(() => undefined);
  });
  return h("fieldset", {}, h("legend", {}, "Ranges"), rows, more);
}
