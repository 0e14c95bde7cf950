"use strict";
// The explorer: a search box, and the lists of all users and movies. Data become text nodes, never markup.

/** An element with attributes and children; strings become text. */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

/** The explorer's tables: what each user and movie is, and its list. */
class Catalogue {
  constructor({ movies, users, genres, lists, neighbours, scale }) {
    Object.assign(this, { movies, users, genres, scale });
    this.words = movies.titles.map(searchable);
    this.lists = { user: unpack(lists, "stars"), movie: unpack(neighbours, "distances") };
    this.places = { user: placesOf(users.ids), movie: placesOf(movies.ids) };
  }

  /** Matches of a query as {kind, place}, best first: ids, the title itself, titles that begin with it, then others, the most rated first. */
  search(query, most, kinds = ["user", "movie"]) {
    const found = [];
    for (const kind of kinds) {
      const place = this.places[kind].get(query.trim());
      if (place !== undefined) found.push({ kind, place });
    }
    const wanted = searchable(query).trim();
    if (!wanted) return found;
    const parts = wanted.split(" ").map((part) => ` ${part}`);
    const hits = [];
    this.words.forEach((words, place) => {
      if (!parts.every((part) => words.includes(part))) return;
      const begins = words.startsWith(` ${wanted}`) || words.startsWith(` the ${wanted}`);
      hits.push({ kind: "movie", place, rank: words === ` ${wanted}` ? 0 : begins ? 1 : 2 });
    });
    const often = (hit) => this.movies.ratings[hit.place];
    hits.sort((one, other) => one.rank - other.rank || often(other) - often(one) || one.place - other.place);
    const first = found.find(({ kind }) => kind === "movie")?.place;
    return [...found, ...hits.filter(({ place }) => place !== first)].slice(0, most);
  }

  /** [place of a movie, value] of each row of a list. */
  rows(kind, place) {
    const { length, movies, values } = this.lists[kind];
    const rows = [];
    for (let cell = place * length; cell < (place + 1) * length && movies[cell]; cell += 1) {
      rows.push([movies[cell] - 1, values[cell]]);
    }
    return rows;
  }

  /** [name, number of ratings and mean] of a user or movie. */
  describe({ kind, place }) {
    const table = kind === "user" ? this.users : this.movies;
    const count = table.ratings[place];
    const counts = `${count.toLocaleString("en")} rating${count === 1 ? "" : "s"}`;
    const mean = table.means[place] === null ? "" : `, mean ${table.means[place].toFixed(1)}`;
    if (kind === "user") return [`User ${table.ids[place]}`, counts + mean];
    const year = table.years[place];
    return [`${table.titles[place]}${year === null ? "" : ` (${year})`}`, counts + mean];
  }
}

const placesOf = (ids) => new Map(ids.map((id, place) => [String(id), place]));

/** The text in lower case without accents and punctuation, a space before each word, a leading article first. */
function searchable(text) {
  const plain = text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase().replace(/['’]/g, "");
  const words = plain.replace(/[^\p{L}\p{N}]+/gu, " ").trim();
  return ` ${words.replace(/^(.*) (the|a|an)$/, "$2 $1")}`;
}

/** Matrices of 16-bit numbers, decoded from base64. */
function unpack(packed, value) {
  const numbers = (text) => new Uint16Array(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);
  return { length: packed.length, movies: numbers(packed.movies), values: numbers(packed[value]) };
}

/** Heading, facts and list of a user or movie. */
function present(catalogue, { kind, place }) {
  const [name, counts] = catalogue.describe({ kind, place });
  const rows = catalogue.rows(kind, place);
  const about = kind === "user" ? [counts] : [counts, ...genresOf(catalogue, place)];
  const heading = element("h3", { tabindex: "-1" }, name);
  const list = element("ol", { class: "list" }, ...rows.map(([movie, value]) => presentRow(catalogue, kind === "user" ? starsOf(value / 10, catalogue.scale) : distanceOf(value / 1000), movie)));
  const next = catalogue.scale ? "What to watch next, with predicted stars" : "What to watch next";
  const what = kind === "user" ? next : "Nearest movies";
  return [
    heading,
    element("p", { class: "soft" }, about.join(" · "), " ", kind === "movie" ? linksOf(catalogue, place) : ""),
    element("h4", {}, what),
    rows.length ? list : element("p", { class: "nothing" }, "There are no movies to show."),
  ];
}

const genresOf = ({ movies, genres }, place) => movies.genres[place].map((genre) => genres[genre]);

/** One movie of a list, beside it its predicted stars or its distance. */
function presentRow(catalogue, beside, place) {
  const { movies } = catalogue;
  const title = element("span", { class: "title" }, element("a", { href: `#movie-${encodeURIComponent(movies.ids[place])}` }, movies.titles[place]));
  if (movies.years[place] !== null) title.append(" ", element("span", { class: "year" }, String(movies.years[place])));
  const genres = element("span", { class: "genres" }, genresOf(catalogue, place).join(" · "));
  const aside = element("div", { class: "aside" }, beside, " ", linksOf(catalogue, place));
  return element("li", {}, element("div", { class: "what" }, title, " ", genres), aside);
}

/** Predicted stars, which are stored above the least of a scale that begins below 0; nothing for events. */
function starsOf(above, scale) {
  if (!scale) return "";
  const value = Math.min(scale.least, 0) + above;
  const glyphs = element("span", { class: "glyphs", "aria-hidden": "true" });
  glyphs.style.setProperty("--stars", value / ((scale.least >= 0 ? scale.most : scale.most - scale.least) / 5));
  return element("span", { class: "stars" }, glyphs, ` ${value.toFixed(1)}`, element("span", { class: "unseen" }, ` of ${scale.most} stars`));
}

/** The text of a part of an address; as it is where it is not well formed. */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const distanceOf = (value) => element("span", { class: "distance" }, `distance ${value.toFixed(2)}`);

function linksOf({ movies }, place) {
  const links = element("span", { class: "links" });
  const add = (name, url) => links.append(
    element("a", { href: url, rel: "noreferrer" }, name, element("span", { class: "unseen" }, `: ${movies.titles[place]}`)), " ");
  if (movies.imdb[place]) add("IMDb", `https://www.imdb.com/title/tt${encodeURIComponent(movies.imdb[place])}/`);
  if (movies.tmdb[place]) add("TMDb", `https://www.themoviedb.org/movie/${movies.tmdb[place]}`);
  return links;
}

/** Runs a search box as an ARIA combobox: `find` gives the matches of a query, `take` gets the chosen one. */
function startCombobox([input, list, status], catalogue, find, take, none) {
  let matches = [], chosen = -1;
  const choose = (place) => {
    chosen = place;
    [...list.children].forEach((option, at) => option.setAttribute("aria-selected", at === place));
    if (place < 0) input.removeAttribute("aria-activedescendant");
    else {
      input.setAttribute("aria-activedescendant", list.children[place].id);
      list.children[place].scrollIntoView({ block: "nearest" });
    }
  };
  const close = () => {
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    choose(-1);
  };
  const offer = () => {
    matches = find(input.value);
    list.replaceChildren(...matches.map((match, at) => {
      const [name, counts] = catalogue.describe(match);
      return element("li", { role: "option", id: `${list.id}-${at}`, "aria-selected": "false" }, element("span", {}, name), element("span", {}, counts));
    }));
    const hasQuery = input.value.trim() !== "";
    status.textContent = hasQuery ? `${matches.length || "No"} match${matches.length === 1 ? "" : "es"}` : "";
    if (hasQuery && !matches.length) list.append(element("li", { class: "none", role: "presentation" }, none));
    list.hidden = !hasQuery;
    input.setAttribute("aria-expanded", String(hasQuery && matches.length > 0));
    choose(matches.length ? 0 : -1);
  };
  const decide = (match) => {
    close();
    take(match);
  };

  input.addEventListener("input", offer);
  input.addEventListener("focus", () => input.select());
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Escape") list.hidden ? (input.value = "") : close();
    else if (event.key === "Enter" && chosen >= 0) decide(matches[chosen]);
    else if (step && list.hidden) offer();
    else if (step && matches.length) choose((chosen + step + matches.length) % matches.length);
    else return;
    event.preventDefault();
  });
  list.addEventListener("mousedown", (event) => event.preventDefault()); // the focus stays in the box
  list.addEventListener("click", (event) => {
    const at = [...list.children].indexOf(event.target.closest("[role=option]"));
    if (at >= 0) decide(matches[at]);
  });
}

/** Runs the explorer, which shows a user or movie in the address (#user-575, #movie-471). */
function startExplorer(catalogue) {
  const [input, list, status, found] = ["search", "matches", "search-status", "found"].map((id) => document.getElementById(id));
  const show = (match) => {
    found.replaceChildren(...present(catalogue, match));
    found.hidden = false;
    status.textContent = `${catalogue.describe(match)[0]}: ${catalogue.rows(match.kind, match.place).length} movies`;
  };
  const take = (match) => {
    const id = (match.kind === "user" ? catalogue.users : catalogue.movies).ids[match.place];
    input.value = catalogue.describe(match)[0];
    history.pushState(null, "", `#${match.kind}-${encodeURIComponent(id)}`);
    show(match);
  };
  const follow = () => {
    const [, kind, written] = location.hash.match(/^#(user|movie)-(.+)$/) ?? [];
    if (!kind) return;
    const id = decoded(written);
    const place = catalogue.places[kind].get(id);
    if (place === undefined) {
      found.replaceChildren(element("h3", { tabindex: "-1" }, `${kind === "user" ? "User" : "Movie"} ${id} is not in this explorer.`));
      found.hidden = false;
    } else show({ kind, place });
    document.getElementById("explorer").scrollIntoView();
    found.querySelector("h3").focus({ preventScroll: true });
  };

  startCombobox([input, list, status], catalogue, (query) => catalogue.search(query, 12), take, "No matching user or movie.");
  addEventListener("hashchange", follow);
  follow();
}
