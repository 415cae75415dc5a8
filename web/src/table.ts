// The table of materials: filters, sorting, virtual rows, keyboard, downloads, shared by URL.
import { elementScroll, observeElementOffset, observeElementRect, Virtualizer } from "@tanstack/virtual-core";
import { cell, materialLink, width } from "./cells";
import { type ColumnInfo, type Site, type Table, text } from "./data";
import { h, say } from "./dom";
import { saveCsv, saveParquet } from "./download";
import { filterPanel } from "./filters";
import { columnName, explained, unit } from "./format";
import { decode, encode, isFiltered, type Query, select } from "./query";
import { link, told } from "./units";

const ROW = 33;

export class TableView {
  readonly element: HTMLElement;
  private query: Query;
  private rows: Uint32Array = new Uint32Array();
  private active = 0;
  private looks = "";
  private chosen: string[] = [];
  private shown: ColumnInfo[] = [];
  private readonly count = h("p", { class: "found", role: "status" });
  private readonly head = h("thead");
  private readonly body = h("tbody");
  private readonly grid = h("table", { class: "grid" }, this.head, this.body);
  private readonly viewport = h(
    "div",
    { class: "viewport", tabindex: 0, role: "region", "aria-label": "Materials; arrow keys move, Enter opens" },
    this.grid,
  );
  private readonly compareLink = h("a", { class: "button", href: "#/compare", hidden: true });
  private readonly panel;
  private readonly virtual: Virtualizer<HTMLDivElement, HTMLTableRowElement>;
  private unmount: (() => void) | null = null;

  // The table may lack columns that are not shown at first until `complete` resolves.
  constructor(
    private readonly site: Site,
    private readonly table: Table,
    readonly complete: Promise<void>,
  ) {
    this.query = decode(new URLSearchParams(), this.numeric());
    this.panel = filterPanel(site, table, (edit) => {
      edit(this.query);
      this.publish();
    });
    this.virtual = new Virtualizer<HTMLDivElement, HTMLTableRowElement>({
      count: 0,
      getScrollElement: () => this.viewport,
      estimateSize: () => ROW,
      overscan: 12,
      scrollToFn: elementScroll,
      observeElementRect,
      observeElementOffset,
      initialRect: { width: 800, height: 800 },
      onChange: () => this.drawRows(),
    });
    this.viewport.addEventListener("keydown", (event) => this.onKey(event));
    this.element = this.layout();
    void complete.then(() => {
      if (this.unmount && isFiltered(this.query)) this.refresh();
    });
  }

  show(parameters: URLSearchParams): void {
    this.query = decode(parameters, this.numeric());
    this.panel.show(this.query);
    this.refresh();
    if (!this.unmount) {
      this.unmount = this.virtual._didMount();
      this.virtual._willUpdate();
    }
    this.drawRows();
  }

  hide(): void {
    this.unmount?.();
    this.unmount = null;
  }

  get hash(): string {
    const encoded = encode(this.query);
    return link(encoded ? `#/?${encoded}` : "#/");
  }

  private numeric(): string[] {
    return this.site.columns.filter(({ kind }) => kind === "number").map(({ name }) => name);
  }

  // The URL is the state: every change goes there, and comes back through `show`.
  private publish(): void {
    history.replaceState(null, "", this.hash);
    this.panel.show(this.query);
    this.refresh();
  }

  private refresh(): void {
    performance.mark("filter-start");
    this.rows = select(this.table, this.query);
    const names = this.query.columns;
    this.shown = this.site.columns.filter(({ name, initial }) =>
      names ? names.includes(name) : initial && this.useful(name),
    );
    if (this.active >= this.rows.length) this.active = 0;
    const before = this.virtual.options.count;
    this.virtual.setOptions({ ...this.virtual.options, count: this.rows.length });
    const looks = [...this.shown.map(({ name }) => name), this.query.sort, this.query.descending, told("THz")].join();
    if (looks !== this.looks) this.drawHead();
    this.looks = looks;
    this.grid.setAttribute("aria-rowcount", String(this.rows.length + 1));
    if (this.rows.length < before) this.virtual.scrollToOffset(0);
    this.drawRows();
    performance.measure("filter", "filter-start");
    this.tell();
  }

  // A column with one value for all rows says nothing before it is asked for.
  private useful(name: string): boolean {
    if (name !== "potential") return true;
    const column = this.table.columns.get(name);
    return column?.kind === "text" && column.words.filter((word) => word !== "").length > 1;
  }

  private tell(): void {
    const [found, all] = [this.rows.length.toLocaleString("en"), this.table.n.toLocaleString("en")];
    this.count.replaceChildren(h("strong", {}, found), isFiltered(this.query) ? ` of ${all} rows` : " rows");
    document.title = this.site.title;
  }

  private layout(): HTMLElement {
    const { complete, site, table } = this;
    const filters = h(
      "details",
      { class: "side", open: matchMedia("(min-width: 60em)").matches },
      h("summary", {}, "Filters"),
      this.panel.element,
    );
    const share = h(
      "button",
      {
        type: "button",
        click: () => {
          void navigator.clipboard
            ?.writeText(location.href)
            .then(() => say("The link to this selection is in the clipboard."));
          share.textContent = "Link copied";
          setTimeout(() => {
            share.textContent = "Copy link";
          }, 1500);
        },
      },
      "Copy link",
    );
    return h(
      "div",
      { class: "browse" },
      filters,
      h(
        "section",
        { class: "results", "aria-label": "Results" },
        h("h1", { class: "unseen" }, "Materials"),
        h(
          "div",
          { class: "tools" },
          this.count,
          this.compareLink,
          this.columnMenu(),
          share,
          h(
            "button",
            {
              type: "button",
              id: "csv",
              click: () => void complete.then(() => saveCsv(table, site.columns, this.rows)),
            },
            "CSV",
          ),
          h(
            "button",
            {
              type: "button",
              id: "parquet",
              click: () => void complete.then(() => saveParquet(table, site.columns, this.rows)),
            },
            "Parquet",
          ),
        ),
        this.viewport,
      ),
    );
  }

  private columnMenu(): HTMLElement {
    const list = h("div", { class: "menu" });
    const menu = h("details", { class: "drop" }, h("summary", { class: "button" }, "Columns"), list);
    menu.addEventListener("toggle", () => {
      if (!menu.open) return;
      const shown = new Set(this.shown.map(({ name }) => name));
      const groups = [...new Set(this.site.columns.map(({ group }) => group))];
      list.replaceChildren(
        ...groups.map((group) =>
          h(
            "fieldset",
            {},
            h("legend", {}, group),
            ...this.site.columns
              .filter((column) => column.group === group)
              .map((column) => {
                const box = h("input", {
                  type: "checkbox",
                  change: () => {
                    if (box.checked) shown.add(column.name);
                    else shown.delete(column.name);
                    this.query.columns = this.site.columns.map(({ name }) => name).filter((name) => shown.has(name));
                    this.publish();
                  },
                });
                box.checked = shown.has(column.name);
                return h(
                  "label",
                  { class: "box", title: column.description },
                  box,
                  h("span", {}, column.title, " ", columnName(column.name)),
                );
              }),
          ),
        ),
      );
    });
    document.addEventListener("click", (event) => {
      if (!menu.contains(event.target as Node)) menu.open = false;
    });
    menu.addEventListener("keydown", (event) => {
      if (event.key === "Escape") menu.open = false;
    });
    return menu;
  }

  private drawHead(): void {
    const cells = this.shown.map((column) => {
      const current = this.query.sort === column.name;
      const direction = current ? (this.query.descending ? "descending" : "ascending") : "none";
      const button = h(
        "button",
        {
          type: "button",
          "data-sort": column.name,
          title: explained(column.name, column.description),
          click: () => {
            this.query.descending = current ? !this.query.descending : column.kind === "number";
            this.query.sort = column.name;
            this.active = 0;
            this.viewport.scrollTop = 0;
            this.publish();
            this.head.querySelector<HTMLButtonElement>(`[data-sort="${column.name}"]`)?.focus();
          },
        },
        h("span", {}, column.title),
        h("span", { class: "arrow", "aria-hidden": "true" }, current ? (this.query.descending ? "▾" : "▴") : ""),
        column.unit ? h("small", {}, unit(column.unit)) : null,
      );
      return h("th", { scope: "col", class: column.kind, "aria-sort": direction }, button);
    });
    const total = 3 + this.shown.reduce((sum, column) => sum + width(column), 0);
    const columns = h(
      "colgroup",
      {},
      this.col(3, total),
      ...this.shown.map((column) => this.col(width(column), total)),
    );
    this.grid.querySelector("colgroup")?.remove();
    this.grid.prepend(columns);
    this.grid.style.minWidth = `${total}ch`;
    this.head.replaceChildren(
      h("tr", {}, h("th", { scope: "col", class: "pick" }, h("span", { class: "unseen" }, "Compare")), ...cells),
    );
  }

  private col(characters: number, total: number): HTMLElement {
    const column = h("col");
    column.style.width = `${(100 * characters) / total}%`;
    return column;
  }

  private drawRows(): void {
    const items = this.virtual.getVirtualItems();
    const spacer = (height: number) => {
      const row = h("tr", { class: "spacer", "aria-hidden": "true" }, h("td", { colspan: this.shown.length + 1 }));
      row.style.height = `${height}px`;
      return row;
    };
    const top = items.length ? items[0].start : 0;
    const bottom = items.length ? this.virtual.getTotalSize() - items[items.length - 1].end : 0;
    const focused =
      document.activeElement instanceof HTMLElement && this.body.contains(document.activeElement)
        ? document.activeElement.dataset.key
        : undefined;
    const empty =
      this.rows.length === 0
        ? [
            h(
              "tr",
              { class: "none" },
              h("td", { colspan: this.shown.length + 1 }, "No material fits. Loosen a filter."),
            ),
          ]
        : [];
    this.body.replaceChildren(spacer(top), ...empty, ...items.map(({ index }) => this.drawRow(index)), spacer(bottom));
    if (focused)
      this.body.querySelector<HTMLElement>(`[data-key="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }

  private drawRow(index: number): HTMLTableRowElement {
    const row = this.rows[index];
    const id = text(this.table, "material_id", row);
    const potential = text(this.table, "potential", row);
    const key = `${id}@${potential}`;
    const box = h("input", {
      type: "checkbox",
      "aria-label": `Compare ${id}`,
      "data-key": `pick ${key}`,
      change: () => this.pick(key, box.checked),
    });
    box.checked = this.chosen.includes(key);
    const link = materialLink(id, potential);
    return h(
      "tr",
      {
        "aria-rowindex": index + 2,
        class: index === this.active ? "active" : null,
        "data-id": id,
        click: (event: MouseEvent) => {
          const target = event.target as Element;
          if (!target.closest("a, label") && !getSelection()?.toString()) location.hash = link;
        },
      },
      h("td", { class: "pick" }, h("label", {}, box)),
      ...this.shown.map((column) =>
        h(
          "td",
          { class: column.kind },
          column.name === "material_id"
            ? h("a", { href: link, "data-key": key }, cell(this.table, column, row))
            : cell(this.table, column, row),
        ),
      ),
    );
  }

  private pick(key: string, on: boolean): void {
    this.chosen = this.chosen.filter((other) => other !== key);
    if (on) this.chosen = [...this.chosen, key].slice(-2);
    const [a, b] = this.chosen;
    this.compareLink.hidden = this.chosen.length === 0;
    this.compareLink.textContent = b ? "Compare the two" : "Choose a second to compare";
    if (b) this.compareLink.href = link(`#/compare?a=${encodeURIComponent(a)}&b=${encodeURIComponent(b)}`);
    else this.compareLink.removeAttribute("href");
    this.drawRows();
  }

  private onKey(event: KeyboardEvent): void {
    const page = Math.max(1, Math.floor(this.viewport.clientHeight / ROW) - 2);
    const steps: Record<string, number> = {
      ArrowDown: 1,
      ArrowUp: -1,
      PageDown: page,
      PageUp: -page,
      Home: -Infinity,
      End: Infinity,
    };
    if (event.key in steps) {
      event.preventDefault();
      this.active = Math.min(Math.max(this.active + steps[event.key], 0), Math.max(this.rows.length - 1, 0));
      this.virtual.scrollToIndex(this.active, { align: "auto" });
      this.drawRows();
      say(this.rows.length ? `${this.active + 1}: ${text(this.table, "material_id", this.rows[this.active])}` : "");
    } else if (event.key === "Enter" && event.target === this.viewport && this.rows.length) {
      const row = this.rows[this.active];
      location.hash = materialLink(text(this.table, "material_id", row), text(this.table, "potential", row));
    }
  }
}
