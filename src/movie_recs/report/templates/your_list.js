"use strict";
// "Your list": a person rates movies, and the list follows. Her ratings stay in this browser's storage.

const SHOWN_RATINGS = { narrow: 6, wide: 20 }; // before "Show all"

/** The models of the page, decompressed. */
async function unpackModels(packed) {
  const models = await Promise.all(packed.models.map(async (model) => {
    const [bias, values] = await Promise.all([model.bias, model.values].map((text) => inflate(bytesOf(text), "deflate")));
    return { ...model, bias: new Float32Array(bias.buffer), values: new Int8Array(values.buffer) };
  }));
  return new ListMaker({ ...packed, models });
}

/** A person's ratings by movie: {stars, time}, in the order in which they were given; kept in local storage. */
class OwnRatings {
  constructor(catalogue, name) {
    Object.assign(this, { catalogue, key: `movie_recs: ratings of ${name}`, byPlace: new Map(), isKept: true });
    try {
      for (const [id, stars, time] of JSON.parse(localStorage.getItem(this.key)) ?? []) {
        const place = catalogue.places.movie.get(String(id));
        if (place !== undefined && Number.isFinite(stars)) this.byPlace.set(place, { stars, time });
      }
    } catch {
      this.isKept = false;
    }
  }

  get rows() {
    return [...this.byPlace].map(([place, { stars, time }]) => [this.catalogue.movies.ids[place], stars, time]);
  }

  keep() {
    try {
      if (this.byPlace.size) localStorage.setItem(this.key, JSON.stringify(this.rows));
      else localStorage.removeItem(this.key);
    } catch {
      this.isKept = false;
    }
  }

  /** Gives stars to a movie, later than all before. */
  set(place, stars) {
    const last = Math.max(0, ...[...this.byPlace.values()].map(({ time }) => time));
    this.byPlace.set(place, { stars, time: Math.max(Math.floor(Date.now() / 1000), last + 1) });
    this.keep();
  }

  /** Adds [place, stars, seconds], the last of a movie counting. */
  add(found) {
    for (const [place, stars, time] of found) this.byPlace.set(place, { stars, time });
    this.keep();
  }

  remove(place) {
    this.byPlace.delete(place);
    this.keep();
  }

  forget() {
    this.byPlace.clear();
    this.keep();
  }

  /** The input of `ListMaker`. */
  rated() {
    const places = [...this.byPlace.keys()].sort((one, other) => one - other), rows = places.map((place) => this.byPlace.get(place));
    return { places, stars: rows.map(({ stars }) => stars), times: rows.map(({ time }) => time) };
  }

  /** The file that GroupLens' layout makes of them. */
  csv() {
    const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    return ["movieId,rating,timestamp", ...this.rows.map(([id, stars, time]) => `${quoted(String(id))},${stars},${time}`), ""].join("\n");
  }
}

/** Which movies may be listed, as `recommend.filters`: each genre is wanted, left out or neither. */
class Filters {
  constructor({ movies, genres }, start) {
    const lower = (names) => names.map((name) => name.toLowerCase());
    const [wanted, without] = [lower(start.genres), lower(start.without_genres)], hidden = new Set(start.without_movie_ids.map(String));
    Object.assign(this, { movies, genres, first: start.first_year, last: start.last_year, least: start.min_ratings });
    this.hidden = movies.ids.map((id) => hidden.has(String(id)));
    this.states = genres.map((genre) => (wanted.includes(genre.toLowerCase()) ? "only" : without.includes(genre.toLowerCase()) ? "without" : "any"));
  }

  /** A function of a movie's place. */
  test() {
    const { movies, states, first, last, least, hidden } = this, hasWanted = states.includes("only");
    return (place) => {
      const own = movies.genres[place].map((genre) => states[genre]), year = movies.years[place];
      if (hidden[place] || movies.ratings[place] < least || own.includes("without") || (hasWanted && !own.includes("only"))) return false;
      return (first === null || (year !== null && year >= first)) && (last === null || (year !== null && year <= last));
    };
  }

  /** What is filtered, in words. */
  toString() {
    const named = (state) => this.genres.filter((_, genre) => this.states[genre] === state).join(", ");
    const parts = [named("only"), named("without") && `not ${named("without")}`, this.first !== null && `from ${this.first}`,
      this.last !== null && `to ${this.last}`, this.least > 0 && `${this.least}+ ratings`];
    return parts.filter(Boolean).join(" · ");
  }
}

/** A slider over stars, with `change` called for each new value; 0 is not rated yet. */
function starSlider({ scale }, name, stars, change) {
  const zero = Math.min(scale.least, 0), step = scale.step ?? (scale.most - scale.least) / 10;
  const input = element("input", { type: "range", min: scale.least - step, max: scale.most, step, "aria-label": `Stars for ${name}` });
  const glyphs = element("span", { class: "glyphs", "aria-hidden": "true" }), label = element("output", {});
  const place = element("span", { class: "rate" }, input, glyphs, label);
  const show = () => {
    const value = Number(input.value), isRated = value >= scale.least;
    glyphs.style.setProperty("--stars", isRated ? (5 * (value - zero)) / (scale.most - zero) : 0);
    label.textContent = isRated ? value.toFixed(1) : "?";
    input.setAttribute("aria-valuetext", isRated ? `${value.toFixed(1)} of ${scale.most}` : "not rated");
  };
  const set = (value) => {
    input.value = Math.min(Math.max(value, scale.least), scale.most);
    show();
    change(Number(input.value));
  };
  const point = (event) => {
    const box = glyphs.getBoundingClientRect(), share = (event.clientX - box.left) / box.width;
    set(scale.least + Math.ceil((zero + share * (scale.most - zero) - scale.least) / step - 0.1) * step);
  };
  input.value = stars ?? scale.least - step;
  show();
  input.addEventListener("input", () => set(Number(input.value)));
  glyphs.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    glyphs.setPointerCapture(event.pointerId);
    input.focus();
    point(event);
  });
  glyphs.addEventListener("pointermove", (event) => event.buttons && point(event));
  return place;
}

/** Runs the section: the search, the ratings, the files, the filters and the list. */
async function startYourList(catalogue, packed) {
  const part = (name) => document.getElementById(`own-${name}`), { movies, scale } = catalogue;
  const ratings = new OwnRatings(catalogue, packed.name), filters = new Filters(catalogue, packed.filters);
  const nameOf = (place) => catalogue.describe({ kind: "movie", place })[0];
  let maker = null, isWhole = false, fresh = null; // fresh: a movie that waits for its stars

  const showList = () => {
    if (!maker) return;
    const rated = ratings.rated(), begin = performance.now(), rows = maker.list(rated, filters.test());
    part("list").replaceChildren(...rows.map((row) => listRow(catalogue, row, rated)));
    part("section").dataset.milliseconds = (performance.now() - begin).toFixed(1);
    const count = rated.places.length, from = `From your ${count} rating${count === 1 ? "" : "s"}`;
    part("about").textContent = rows.length ? (count ? `${from}${scale ? ", with predicted stars" : ""}.` : "Popular of late, until you have rated a movie.") : "No movie passes the filters.";
    part("filtered").textContent = String(filters);
  };
  const showRatings = () => {
    const places = [...ratings.byPlace.keys()].filter((place) => place !== fresh).reverse();
    const most = isWhole ? places.length : SHOWN_RATINGS[NARROW.matches ? "narrow" : "wide"];
    const shown = [...(fresh === null ? [] : [fresh]), ...places.slice(0, most)];
    part("ratings").replaceChildren(...shown.map(ratingRow));
    part("count").textContent = ratings.byPlace.size ? `Your ratings (${ratings.byPlace.size})` : "Your ratings";
    part("nothing").hidden = shown.length > 0;
    part("all").hidden = places.length <= most;
    for (const name of ["export", "forget"]) part(name).disabled = ratings.byPlace.size === 0;
    part("kept").textContent = ratings.isKept ? "They stay in this browser, and are sent nowhere." : "This browser keeps nothing for this page: export them before you leave.";
  };
  const showAll = () => {
    showRatings();
    showList();
  };
  const ratingRow = (place) => {
    const year = movies.years[place], name = nameOf(place);
    const title = element("span", { class: "title" }, movies.titles[place], year === null ? null : " ", year === null ? null : element("span", { class: "year" }, String(year)));
    const change = (stars) => {
      const isNew = !ratings.byPlace.has(place);
      ratings.set(place, stars);
      if (fresh === place) fresh = null;
      if (isNew) part("count").textContent = `Your ratings (${ratings.byPlace.size})`;
      for (const other of ["export", "forget"]) part(other).disabled = false;
      showList();
    };
    const remove = element("button", { type: "button", class: "quiet", "aria-label": `Remove ${name}` }, "×");
    remove.addEventListener("click", () => {
      ratings.remove(place);
      if (fresh === place) fresh = null;
      showAll();
      part("search").focus();
    });
    return element("li", { "data-place": place }, title, scale ? starSlider(catalogue, name, ratings.byPlace.get(place)?.stars, change) : null, remove);
  };
  const take = ({ place }) => {
    part("search").value = "";
    if (!scale) ratings.set(place, 1);
    fresh = scale ? place : null;
    showRatings();
    if (!scale) return showList();
    part("ratings").querySelector("input").focus();
  };
  const load = async (file) => {
    try {
      const { whose, found, left } = await readRatings(new Uint8Array(await file.arrayBuffer()), catalogue);
      ratings.add(found);
      const rows = left.map(([what, why]) => element("li", {}, what, " ", element("span", { class: "soft" }, why)));
      part("loaded").replaceChildren(`${file.name}: ${found.length} of ${found.length + left.length} ratings from ${whose} are in.`);
      if (rows.length) part("loaded").append(element("details", {}, element("summary", {}, `${rows.length} left out, and why`), element("ul", { class: "plain" }, ...rows)));
    } catch (error) {
      part("loaded").replaceChildren(`${file.name} cannot be read: ${error.message}`);
    }
    showAll();
  };

  startCombobox([part("search"), part("matches"), part("status")], catalogue, (query) => catalogue.search(query, 8, ["movie"]), take, "No matching movie.");
  part("file").addEventListener("change", async () => {
    for (const file of part("file").files) await load(file);
    part("file").value = "";
  });
  part("all").addEventListener("click", () => {
    isWhole = true;
    showRatings();
  });
  part("export").addEventListener("click", () => {
    const address = URL.createObjectURL(new Blob([ratings.csv()], { type: "text/csv" }));
    element("a", { href: address, download: "my_ratings.csv" }).click();
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
  });
  part("forget").addEventListener("click", () => {
    if (!confirm(`Forget ${ratings.byPlace.size} ratings? They are nowhere else unless you have exported them.`)) return;
    ratings.forget();
    fresh = null;
    part("loaded").textContent = "All your ratings are forgotten.";
    showAll();
    part("search").focus();
  });
  startFilters(part, filters, showList);
  showRatings();
  try {
    maker = await unpackModels(packed);
    showList();
  } catch (error) {
    part("about").textContent = `The list cannot be made in this browser: ${error.message}`;
  }
}

/** The filters' inputs. */
function startFilters(part, filters, change) {
  const words = { any: "", only: "only ", without: "no " }, next = { any: "only", only: "without", without: "any" };
  const show = (button, genre) => {
    button.dataset.state = filters.states[genre];
    button.textContent = `${words[filters.states[genre]]}${filters.genres[genre]}`;
  };
  part("genres").replaceChildren(...filters.genres.map((_, genre) => {
    const button = element("button", { type: "button", class: "chip" });
    show(button, genre);
    button.addEventListener("click", () => {
      filters.states[genre] = next[filters.states[genre]];
      show(button, genre);
      change();
    });
    return button;
  }));
  for (const [name, none] of [["first", null], ["last", null], ["least", 0]]) {
    part(name).value = filters[name] || "";
    part(name).addEventListener("input", () => {
      filters[name] = part(name).value === "" ? none : Number(part(name).value);
      change();
    });
  }
}

/** One movie of the list, with its score, predicted stars, and her ratings that add most to it with their exact share of it. */
function listRow(catalogue, { place, score, stars, because }, rated) {
  const { movies, scale } = catalogue, reasons = element("span", { class: "because" }, element("b", {}, "Because of"), " ");
  because.forEach((reason, at) => {
    const own = rated.stars[rated.places.indexOf(reason.place)], percent = (100 * reason.term) / score;
    const share = score > 0 ? ` ${percent.toFixed(percent < 1 ? 1 : 0)}%` : "";
    reasons.append(at ? "; " : "", `${movies.titles[reason.place]}${scale ? ` (${own.toFixed(1)})` : ""}`, element("span", { class: "share" }, share));
  });
  const clipped = scale && stars !== null ? Math.min(Math.max(stars, scale.least), scale.most) : null;
  const row = presentRow(catalogue, clipped === null ? "" : starsOf(clipped - Math.min(scale.least, 0), scale), place);
  if (because.length) row.querySelector(".what").append(reasons);
  row.dataset.score = score;
  return row;
}
