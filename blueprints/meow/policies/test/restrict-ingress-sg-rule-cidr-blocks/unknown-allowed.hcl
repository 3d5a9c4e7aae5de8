mock "tfplan/v2" {
  module {
    source = "mock-tfplan-unknown.sentinel"
  }
}

param "allow_unknown" {
  value = true
}

test {
  rules = {
    main = true
  }
}
