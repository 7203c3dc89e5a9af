"use strict";
// The page is whole without this script; it only sorts lines and tables.
for (const select of document.querySelectorAll("[data-orders]")) {
  select.closest(".order").hidden = false;
  const charts = select.closest("section").querySelectorAll("[data-line]");
  select.addEventListener("change", () => {
    const places = select.value.split(" ").map(Number);
    for (const chart of charts)
      for (const part of chart.querySelectorAll("[data-row]")) {
        const row = Number(part.dataset.row);
        part.style.transform = `translateY(${(places[row] - row) * chart.dataset.line}px)`;
      }
  });
}
const value = (row, column) => {
  const cell = row.cells[column];
  const number = cell.dataset.value;
  return number === undefined || number === "nan" ? cell.textContent.trim() : Number(number);
};
const compare = (one, other) => {
  if (typeof one === "number" && typeof other === "number") return one - other;
  if (typeof one === "number") return -1;
  if (typeof other === "number") return 1;
  return one.localeCompare(other);
};
for (const table of document.querySelectorAll("table[data-sortable]")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const sign = head.getAttribute("aria-sort") === "descending" ? 1 : -1;
      heads.forEach((each) => each.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", sign === 1 ? "ascending" : "descending");
      const rows = [...table.tBodies[0].rows];
      rows.sort((one, other) => sign * compare(value(one, column), value(other, column)));
      table.tBodies[0].append(...rows);
    });
  });
}
addEventListener("beforeprint", () => {
  for (const each of document.querySelectorAll("details")) each.open = true;
});
