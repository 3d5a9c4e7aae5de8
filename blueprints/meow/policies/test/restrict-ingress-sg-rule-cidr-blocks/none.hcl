mock "tfplan/v2" {
  module {
    source = "mock-tfplan-none.sentinel"
  }
}

test {
  rules = {
    main = true
  }
}
